/** SchemaVer: MODEL-REVISION-ADDITION. */

export type SchemaVersion = readonly [model: number, revision: number, addition: number]

export function versionOf(text: string): SchemaVersion | undefined {
  const parts = /^([1-9]\d{0,8})-(0|[1-9]\d{0,8})-(0|[1-9]\d{0,8})$/.exec(text)
  return parts ? [Number(parts[1]), Number(parts[2]), Number(parts[3])] : undefined
}

export function later(a: SchemaVersion, b: SchemaVersion): boolean {
  const difference = a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
  return difference > 0
}
