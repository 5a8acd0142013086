import { definePipeline, type AnyPipeline } from 'sluice';
import { itemColumns, toMessage, type ItemMessage } from '../data/item.ts';

/** The reference transform as a pipeline: all columns of an item, typed, and what follows from them. */
export function declareItems(
  frames: AnyPipeline['frames'],
  partitionBy?: (message: ItemMessage) => string,
): AnyPipeline {
  return definePipeline({
    name: `items-${frames}`,
    version: 1,
    source: { columns: itemColumns },
    transform: toMessage,
    frames,
    ...(partitionBy === undefined ? {} : { partitionBy }),
    analyze: {
      groupBy: (message) => message.transportLaneIdentifier ?? '',
      measures: ({ count, countIf, sum, mean, quantiles }) => ({
        items: count(),
        late: countIf((message) => message.isDeliveredAfterDueDate),
        quantity: sum((message) => message.orderedQuantity),
        penalty: mean((message) => message.servicePenaltyTotalInLocalCurrency),
        delay: quantiles((message) => message.arrivalDelayInMinutes),
      }),
    },
  });
}
