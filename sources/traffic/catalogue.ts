/** What the demo shop sells. */

export type Product = {
  readonly sku: string
  readonly name: string
  readonly category: string
  readonly brand: string
  readonly price: number
}

export type Catalogue = {
  readonly host: string
  readonly currency: string
  /** The most wanted first. */
  readonly products: readonly Product[]
}

const shelves: readonly {
  category: string
  code: string
  models: readonly (readonly [name: string, price: number])[]
}[] = [
  {
    category: 'shoes',
    code: 'SH',
    models: [
      ['Harbour Runner', 89.95],
      ['Meadow Trainer', 74.5],
      ['Kiln Boot', 149],
      ['Weir Sandal', 39.9],
      ['Linden Loafer', 99],
      ['Ferry Sneaker', 64.95],
    ],
  },
  {
    category: 'jackets',
    code: 'JA',
    models: [
      ['Gale Shell', 189],
      ['Orchard Parka', 229.5],
      ['Lock Windbreaker', 79.95],
      ['Slate Down Jacket', 259],
    ],
  },
  {
    category: 'shirts',
    code: 'TS',
    models: [
      ['Millpond Tee', 24.95],
      ['Chalk Oxford', 54.9],
      ['Reed Polo', 39.95],
      ['Sluice Henley', 34.5],
      ['Barn Flannel', 59],
    ],
  },
  {
    category: 'trousers',
    code: 'TR',
    models: [
      ['Towpath Chino', 69.95],
      ['Quarry Jean', 84.9],
      ['Brook Jogger', 49.95],
    ],
  },
  {
    category: 'bags',
    code: 'BA',
    models: [
      ['Ferryman Backpack', 119],
      ['Market Tote', 34.95],
      ['Courier Messenger', 94.5],
    ],
  },
  {
    category: 'accessories',
    code: 'AC',
    models: [
      ['Heron Cap', 22.5],
      ['Wool Beanie', 19.95],
      ['Rope Belt', 29.9],
      ['Rain Umbrella', 27.5],
    ],
  },
]

const brands = ['Northmill', 'Alder & Co', 'Wrack', 'Petrichor']

/** Shelf by shelf in turn, so that each category has something among the most wanted. */
export const retailCatalogue: Catalogue = {
  host: 'shop.example.com',
  currency: 'EUR',
  products: [0, 1, 2, 3, 4, 5].flatMap((row) =>
    shelves.flatMap(({ category, code, models }, shelf): Product[] => {
      const model = models[row]
      if (!model) return []
      const [name, price] = model
      return [{ sku: `${code}-${100 + row}`, name, category, brand: brands[(row + shelf) % brands.length]!, price }]
    }),
  ),
}
