import { refused } from '../../runtime/endpoint/aws/aws-error.ts';
import type { AwsService, Protocol } from '../../runtime/endpoint/aws/aws-service.ts';
import { jsonProtocol } from '../../runtime/endpoint/aws/json-protocol.ts';
import type { FunctionHost } from './function-host.ts';

const INVOKE = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;

/** Lambda as far as an operator needs it: asynchronous invocations of the functions that are deployed. */
export function lambdaService(functions: Pick<FunctionHost, 'invokeLater'>): AwsService {
  const protocol: Protocol = {
    read({ method, path, headers, body }) {
      const [, name] = INVOKE.exec(path) ?? [];
      if (method !== 'POST' || name === undefined) return { operation: undefined, input: {} };
      const type = headers['x-amz-invocation-type'];
      return { operation: 'Invoke', input: { name: decodeURIComponent(name), type, payload: body.toString() } };
    },
    write: () => ({ status: 202, headers: {}, body: Buffer.alloc(0) }),
    fail: jsonProtocol('1.1').fail,
  };
  return {
    signingName: 'lambda',
    protocol,
    operations: {
      async Invoke({ name, type, payload }) {
        if (type !== 'Event')
          throw refused('InvalidParameterValueException', 'Only asynchronous invocations are known here.');
        if (!functions.invokeLater(String(name), JSON.parse(String(payload))))
          throw refused('ResourceNotFoundException', `Function not found: ${String(name)}`);
        return {};
      },
    },
  };
}
