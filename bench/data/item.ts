/** The columns of an item of the supply chain, as `sluice` declares them. Lines ascend: the data is sorted by them. */
export const itemColumns = {
  line: 'integer',
  item: 'string',
  description: 'string',
  category: 'string',
  brand: 'string',
  supplier: 'string',
  supplier_name: 'string',
  warehouse: 'string',
  lane: 'string',
  country: 'string',
  quantity: 'integer',
  unit_price: 'number',
  currency: 'string',
  weight_kg: 'number',
  volume_m3: 'number',
  ordered_at: 'timestamp',
  due_at: 'timestamp',
  delay_minutes: 'integer',
  fragile: 'boolean',
  comment: 'string',
} as const;

/** An item whose fields have their types, whoever read it. Text formats know no missing value of these but the empty one. */
export interface Item {
  readonly line: number | null;
  readonly item: string | null;
  readonly description: string | null;
  readonly category: string | null;
  readonly brand: string | null;
  readonly supplier: string | null;
  readonly supplier_name: string | null;
  readonly warehouse: string | null;
  readonly lane: string | null;
  readonly country: string | null;
  readonly quantity: number | null;
  readonly unit_price: number | null;
  readonly currency: string | null;
  readonly weight_kg: number | null;
  readonly volume_m3: number | null;
  readonly ordered_at: Date | null;
  readonly due_at: Date | null;
  readonly delay_minutes: number | null;
  readonly fragile: boolean | null;
  readonly comment: string | null;
}

/**
 * The map that is measured: every column under a name that says what it is, and what follows from them. As JSON that is a bit more than
 * four times the CSV, as the talk's 3 GB became 12: most of it is names.
 */
export function toMessage(item: Item) {
  const quantity = item.quantity ?? 0;
  const unitPrice = item.unit_price ?? 0;
  const orderedAt = item.ordered_at?.getTime() ?? 0;
  const dueAt = item.due_at?.getTime() ?? 0;
  const delayMinutes = item.delay_minutes ?? 0;
  const arrivedAt = dueAt + delayMinutes * 60_000;
  return {
    itemLineNumber: item.line,
    itemIdentifier: item.item,
    itemDescription: item.description,
    itemCategoryName: item.category,
    itemBrandName: item.brand,
    supplierIdentifier: item.supplier,
    supplierDisplayName: item.supplier_name,
    warehouseIdentifier: item.warehouse,
    transportLaneIdentifier: item.lane,
    supplierCountryOfOrigin: item.country,
    orderedQuantity: quantity,
    unitPriceInLocalCurrency: unitPrice,
    localCurrencyIsoCode: item.currency,
    unitWeightInKilograms: item.weight_kg,
    unitVolumeInCubicMetres: item.volume_m3,
    orderedAtMillisecondsSinceEpoch: orderedAt,
    dueAtMillisecondsSinceEpoch: dueAt,
    arrivalDelayInMinutes: delayMinutes,
    isHandledAsFragile: item.fragile,
    handlingComment: item.comment,
    arrivedAtMillisecondsSinceEpoch: arrivedAt,
    totalPriceInLocalCurrency: quantity * unitPrice,
    totalWeightInKilograms: quantity * (item.weight_kg ?? 0),
    totalVolumeInCubicMetres: quantity * (item.volume_m3 ?? 0),
    plannedLeadTimeInDays: Math.floor((dueAt - orderedAt) / 86_400_000),
    actualLeadTimeInDays: Math.floor((arrivedAt - orderedAt) / 86_400_000),
    isDeliveredAfterDueDate: delayMinutes > 0,
    isDeliveredMoreThanOneDayLate: delayMinutes > 1_440,
    isDeliveredOnOrBeforeDueDate: delayMinutes <= 0,
    isOrderedInLargeQuantity: quantity >= 500,
    isOrderedInSingleQuantity: quantity === 1,
    isConsideredHeavyFreight: (item.weight_kg ?? 0) > 30,
    isConsideredBulkyFreight: (item.volume_m3 ?? 0) > 0.5,
    requiresTwoPersonHandling: (item.weight_kg ?? 0) > 25 && item.fragile === true,
    servicePenaltyPerMinuteOfDelay: 0.25,
    servicePenaltyTotalInLocalCurrency: Math.max(0, delayMinutes) * 0.25,
  };
}

export type ItemMessage = ReturnType<typeof toMessage>;

type TextItem = { readonly [Column in keyof Item]: string };

/** For readers that give text. */
export function typedItem(text: TextItem): Item {
  return {
    ...text,
    line: Number(text.line),
    quantity: Number(text.quantity),
    unit_price: Number(text.unit_price),
    weight_kg: Number(text.weight_kg),
    volume_m3: Number(text.volume_m3),
    ordered_at: new Date(text.ordered_at),
    due_at: new Date(text.due_at),
    delay_minutes: Number(text.delay_minutes),
    fragile: text.fragile === 'true',
  };
}
