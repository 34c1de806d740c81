import { defineConfig } from 'vitest/config'

/** MILLRACE_TESTS=long runs those that take minutes, `*.long.test.ts`, instead of the others. */
const long = process.env['MILLRACE_TESTS'] === 'long'

export default defineConfig({
  test: {
    include: [long ? '**/*.long.test.ts' : '**/*.test.ts'],
    exclude: ['node_modules/**', 'dist/**', ...(long ? [] : ['**/*.long.test.ts'])],
    // brokers that live for a minute: what the second compiler of the JVM makes of them never pays off
    env: { KAFKA_JVM_PERFORMANCE_OPTS: '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' },
    globalSetup: './test/parts.setup.ts',
    testTimeout: 30_000,
    maxWorkers: 2,
  },
})
