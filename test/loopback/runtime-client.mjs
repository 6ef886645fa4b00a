// The bootstrap of a function's process: loads the handler, then asks the Lambda Runtime API for one invocation after the other.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

const { AWS_LAMBDA_RUNTIME_API: api, LAMBDA_TASK_ROOT: code = '', _HANDLER = '' } = process.env;
/** Where an earlier process of the same bundle left what V8 made of it; nothing where this is not asked for. */
const [, , compiled] = process.argv;
const agent = new http.Agent({ keepAlive: true });
const handler = await load();
for (;;) await serve(await call('GET', 'invocation/next'));

async function load() {
  const [file, name] = _HANDLER.split('.');
  try {
    const bundle = join(code, `${file}.mjs`);
    const module = compiled ? await compiledBefore(bundle) : await import(pathToFileURL(bundle).href);
    if (typeof module[name] !== 'function') throw new Error(`${_HANDLER} is no function`);
    return module[name];
  } catch (error) {
    await call('POST', 'init/error', wordsOf(error));
    process.exit(1);
  }
}

// Compiling a bundle is a good part of what its start costs, and tests start hundreds of processes of the same bundles.
async function compiledBefore(bundle) {
  // Code that was compiled before knows no way to import later what it names (Node 20): it gets one by name.
  globalThis.importLater = (specifier) => import(specifier);
  const source = readFileSync(bundle, 'utf8').replace(/(?<![.\w$])import\(/g, 'importLater(');
  const options = { identifier: pathToFileURL(bundle).href };
  const module = withCode(source, options) ?? new vm.SourceTextModule(source, options);
  // Before it runs: afterwards V8 gives none.
  if (!module.isCompiledBefore) keep(module.createCachedData());
  // A bundle imports Node's own modules only.
  await module.link(async (specifier) => {
    const imported = await import(specifier);
    const names = Object.keys(imported);
    return new vm.SyntheticModule(names, function () {
      for (const name of names) this.setExport(name, imported[name]);
    });
  });
  await module.evaluate();
  return module.namespace;
}

// Undefined where nothing was left, or what another Node left.
function withCode(source, options) {
  try {
    const module = new vm.SourceTextModule(source, { ...options, cachedData: readFileSync(compiled) });
    return Object.assign(module, { isCompiledBefore: true });
  } catch {
    return undefined;
  }
}

function keep(made) {
  const draft = `${compiled}.${process.pid}`;
  try {
    writeFileSync(draft, made);
    renameSync(draft, compiled);
  } catch {
    // The next process compiles for itself.
  }
}

async function serve({ headers, body }) {
  const id = headers['lambda-runtime-aws-request-id'];
  const deadlineMs = Number(headers['lambda-runtime-deadline-ms']);
  const context = {
    awsRequestId: id,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => deadlineMs - Date.now(),
  };
  let answer;
  try {
    answer = (await handler(JSON.parse(body), context)) ?? null;
  } catch (error) {
    await call('POST', `invocation/${id}/error`, wordsOf(error));
    return;
  }
  await call('POST', `invocation/${id}/response`, answer);
}

function wordsOf(error) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
  return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? '').split('\n') };
}

// Whoever started this process is gone when its API does not answer: then nothing is left to do.
function call(method, path, content) {
  return new Promise((resolve) => {
    const request = http.request(`http://${api}/2018-06-01/runtime/${path}`, { method, agent }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text) => {
        body += text;
      });
      response.on('end', () => resolve({ headers: response.headers, body }));
      response.on('error', gone);
    });
    request.on('error', gone);
    if (content !== undefined) request.setHeader('content-type', 'application/json');
    request.end(content === undefined ? undefined : JSON.stringify(content));
  });
}

function gone() {
  process.exit(0);
}
