import { definePipeline, type AnyPipeline } from 'sluice';

/** A pipeline that passes some columns of the items on as they are. */
export function declareColumns(columns: readonly string[] | undefined): AnyPipeline {
  return definePipeline({
    name: `items-${columns?.length ?? 'all'}-columns`,
    version: 1,
    source: columns === undefined ? {} : { columns },
    transform: (row) => row,
    analyze: { groupBy: () => 'all', measures: ({ count }) => ({ items: count() }) },
  });
}
