// Native ES modules: started with --experimental-vm-modules (see the `unit` script), TypeScript stripped by swc.
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.baton/'],
  extensionsToTreatAsEsm: ['.ts'],
  globalSetup: '<rootDir>/test/house/neutral-machine.mjs',
  globalTeardown: '<rootDir>/test/house/nothing-left.mjs',
  setupFiles: ['<rootDir>/test/house/forgotten-storages.mjs'],
  testSequencer: '<rootDir>/test/house/longest-first.mjs',
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  // Milliseconds. No test is timed: only one that hangs is ended, and real processes on a small, busy machine take their time.
  testTimeout: 120_000,
  // Twice the two cores of a small machine: about half of the tests wait for processes and timers most of their time.
  maxWorkers: 4,
};
