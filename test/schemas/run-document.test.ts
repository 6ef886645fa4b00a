import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { executionSecondsOf, scriptOf } from '../../runtime/engine/local-fleet-document.ts';
import { commandDocument, DOCUMENT_MAX_BYTES, runDocument, variableOf } from '../../schemas/run-document.ts';
import { documentParameters } from '../../schemas/ssm-command.ts';

const script = readFileSync(new URL('../../agent/host/run.sh', import.meta.url), 'utf8');
const document = runDocument(script);
const [{ inputs }] = document.mainSteps;

describe("Baton's own document", () => {
  it('is one that SSM takes, with room to spare', () => {
    expect(commandDocument.parse(JSON.parse(JSON.stringify(document)))).toEqual(document);
    expect(Buffer.byteLength(JSON.stringify(document))).toBeLessThan(DOCUMENT_MAX_BYTES / 2);
  });

  it('holds the script of the host, line by line, and nothing else', () => {
    expect(`${inputs.runCommand.join('\n')}\n`).toBe(script);
  });

  it('takes every parameter by a pattern that nothing else can pass', () => {
    for (const [name, pattern] of Object.entries(documentParameters)) {
      expect(document.parameters[name]?.allowedPattern).toBe(pattern);
      expect(pattern).toMatch(/^\^.*\$$/);
    }
    expect(Object.keys(document.parameters).sort()).toEqual(Object.keys(documentParameters).sort());
  });

  it('writes no parameter into its script, whatever they are', () => {
    const names = fc.constantFrom('action', 'taskId', 'attempt', 'payload');
    fc.assert(
      fc.property(fc.dictionary(names, fc.string({ unit: 'binary' })), (parameters) => {
        expect(scriptOf(document, parameters).join('\n')).toBe(script.trimEnd());
      }),
    );
  });

  it('hands over by variables all that the script reads, and takes the time of a command from its parameter', () => {
    const read = new Set([...script.matchAll(/\$\{(SSM_\w+):-\}/g)].map(([, name]) => name));
    const carried = Object.entries(document.parameters).filter(([, { interpolationType }]) => interpolationType);
    expect(carried.map(([name]) => variableOf(name)).sort()).toEqual([...read].sort());
    expect(executionSecondsOf(document, { executionTimeout: '77' })).toBe(77);
  });
});
