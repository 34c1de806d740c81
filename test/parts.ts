/** The real parts that tests talk to. */
export async function kafkaForTests(): Promise<{ readonly brokers: readonly string[] }> {
  return { brokers: (process.env['KAFKA_BROKERS'] ?? 'localhost:29092').split(',') }
}
