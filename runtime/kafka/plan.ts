/** What would be done to a cluster or registry so that it is as declared. Pure values: to print, or to perform. */

export type PlannedItem = {
  readonly what: 'topic' | 'subject'
  readonly name: string
  /** refused: it cannot be made so without loss; nothing of a plan is performed that has such an item. */
  readonly action: 'keep' | 'create' | 'change' | 'refuse'
  /** What it would be, what would change, or why it cannot; a sentence or a setting each. */
  readonly details: readonly string[]
}
