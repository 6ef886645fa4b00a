import { relative } from 'node:path';

/** One line per test file; the failures in full. Everything goes to standard output. */
export default class CompactReporter {
  onTestResult(_test, result) {
    const {
      numPassingTests: passed,
      numFailingTests: failed,
      testFilePath,
      testExecError,
      failureMessage,
      perfStats,
    } = result;
    const broken = failed > 0 || Boolean(testExecError);
    const seconds = ((perfStats.end - perfStats.start) / 1000).toFixed(1);
    const counts = broken ? `${passed} passed, ${Math.max(failed, 1)} failed` : `${passed} passed`;
    console.log(`  ${broken ? 'FAIL' : 'ok'} ${relative(process.cwd(), testFilePath)}: ${counts} (${seconds} s)`);
    if (failureMessage) console.log(failureMessage);
  }

  getLastError() {
    return undefined;
  }
}
