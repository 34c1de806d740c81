/** Who made an event or a bad row. The version is that of package.json; a test keeps the two equal. */

export const version = '0.1.0'

export const processor = { artifact: 'millrace-validate', version } as const
