import { createHash, randomUUID } from 'node:crypto';
import type { DeployedQueue } from './deployment.ts';

/** A message as its receiver sees it. */
export interface Message {
  readonly messageId: string;
  readonly body: string;
  readonly sentAtMs: number;
  readonly attributes: Readonly<Record<string, string>>;
  /** Deliveries so far, this one included. */
  readonly receives: number;
  /** Valid until the message is received again. */
  readonly receipt: string;
}

export interface Queue {
  readonly name: string;
  readonly arn: string;
  readonly url: string;
  readonly visibilitySeconds: number;
  readonly redrive: DeployedQueue['redrive'];
  send(body: string, options?: { delaySeconds?: number; attributes?: Readonly<Record<string, string>> }): SentMessage;
  /** Takes visible messages, oldest first, at most `max`, and hides them for the visibility time-out, or for another time. */
  receive(max: number, hiddenSeconds?: number): Message[];
  /** The message was handled. A receipt of an earlier delivery does nothing. */
  delete(receipt: string): void;
  /** Shows a message again after this time, whatever the visibility time-out says. */
  release(receipt: string, afterSeconds: number): void;
  /** Messages in the queue, hidden and delayed ones included. */
  depth(): number;
  /** The bodies of what is in the queue, oldest first: for looking, not for handling. */
  peek(): string[];
  /** The same, whole. */
  messages(): Pick<Message, 'body' | 'sentAtMs' | 'attributes'>[];
  /** Told whenever messages may have become visible. */
  onVisible(told: () => void): void;
  close(): void;
}

export interface SentMessage {
  readonly messageId: string;
  readonly md5: string;
}

export interface Queues {
  byArn(arn: string): Queue | undefined;
  byUrl(url: string): Queue | undefined;
  byName(name: string): Queue | undefined;
  readonly all: readonly Queue[];
  close(): void;
}

/** The standard queues of a deployment in memory: at least once, no order promised, dead letters after the bound of the redrive policy. */
export function queuesOf(deployed: readonly DeployedQueue[], now: () => number = Date.now): Queues {
  const byArn = new Map<string, Queue>();
  for (const one of deployed) {
    const target = () => {
      const dead = one.redrive && byArn.get(one.redrive.arn);
      if (!dead) throw new Error(`the dead-letter queue of ${one.name} is not deployed: ${one.redrive?.arn}`);
      return dead;
    };
    byArn.set(one.arn, queueOf(one, target, now));
  }
  const all = [...byArn.values()];
  return {
    all,
    byArn: (arn) => byArn.get(arn),
    byUrl: (url) => all.find((queue) => queue.url === url || lastPart(queue.url) === lastPart(url)),
    byName: (name) => all.find((queue) => queue.name === name),
    close() {
      for (const queue of all) queue.close();
    },
  };
}

/** `http://127.0.0.1:1/000000000000/name` names the same queue as its address on AWS: account and name count. */
const lastPart = (url: string): string => url.split('/').slice(-2).join('/');

interface Kept {
  readonly messageId: string;
  readonly body: string;
  readonly sentAtMs: number;
  readonly attributes: Readonly<Record<string, string>>;
  receives: number;
  receipt: string;
  visibleAtMs: number;
}

function queueOf(deployed: DeployedQueue, deadLetters: () => Queue, now: () => number): Queue {
  const { name, arn, url, visibilitySeconds, redrive } = deployed;
  const kept = new Map<string, Kept>();
  const listeners: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  return {
    name,
    arn,
    url,
    visibilitySeconds,
    redrive,
    send(body, { delaySeconds = 0, attributes = {} } = {}) {
      const message = {
        messageId: randomUUID(),
        body,
        sentAtMs: now(),
        attributes,
        receives: 0,
        receipt: '',
        visibleAtMs: now() + delaySeconds * 1_000,
      };
      kept.set(message.messageId, message);
      plan();
      return { messageId: message.messageId, md5: createHash('md5').update(body).digest('hex') };
    },
    receive(max, hiddenSeconds = visibilitySeconds) {
      const received: Message[] = [];
      for (const message of kept.values()) {
        if (received.length >= max) break;
        if (message.visibleAtMs > now()) continue;
        if (redrive && message.receives >= redrive.receives) {
          kept.delete(message.messageId);
          deadLetters().send(message.body, { attributes: message.attributes });
          continue;
        }
        message.receives += 1;
        message.receipt = randomUUID();
        message.visibleAtMs = now() + hiddenSeconds * 1_000;
        received.push({ ...message });
      }
      plan();
      return received;
    },
    delete(receipt) {
      const message = heldBy(receipt);
      if (message) kept.delete(message.messageId);
    },
    release(receipt, afterSeconds) {
      const message = heldBy(receipt);
      if (!message) return;
      message.visibleAtMs = now() + afterSeconds * 1_000;
      plan();
    },
    depth: () => kept.size,
    peek: () => [...kept.values()].map(({ body }) => body),
    messages: () => [...kept.values()],
    onVisible(told) {
      listeners.push(told);
      plan();
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };

  function heldBy(receipt: string): Kept | undefined {
    return [...kept.values()].find((message) => message.receipt === receipt);
  }

  /** Wakes whoever listens when the next message can be seen. */
  function plan(): void {
    clearTimeout(timer);
    if (closed || listeners.length === 0 || kept.size === 0) return;
    const nextMs = Math.min(...[...kept.values()].map(({ visibleAtMs }) => visibleAtMs));
    timer = setTimeout(tell, Math.max(0, nextMs - now()));
  }

  function tell(): void {
    for (const told of listeners) told();
  }
}
