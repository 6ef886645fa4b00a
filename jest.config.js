// Native ES modules: started with --experimental-vm-modules (see the `unit` script), TypeScript stripped by swc.
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.baton/'],
  extensionsToTreatAsEsm: ['.ts'],
  globalSetup: '<rootDir>/test/house/neutral-machine.mjs',
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
  // Real git and real processes on a small, busy machine: milliseconds.
  testTimeout: 30_000,
  maxWorkers: 2,
};
