/** What memory V8 may take for speed. */
import { setFlagsFromString } from 'node:v8'

/**
 * Young objects of a further thread, in MiB; the first thread has as much by `--max-semi-space-size=32` (a third of it)
 * where Node is started. A batch lives as long as a default young generation does, and would be copied over and over.
 */
export const youngGenerationMiB = 96

/**
 * The old generation, of all threads, is collected when it has grown by this much over what last lived in it. Left to
 * itself V8 lets it grow fourfold, most of it rows that the caches have let go; at 60 percent collecting takes a tenth of
 * all processor time.
 */
const growthPercent = 150

export function boundHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`)
}
