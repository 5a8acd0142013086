import type { Check, Problem } from '../problem.ts';
import { numberOf } from '../template.ts';

const MIB = 1024 * 1024;
/** An event holds 6 MB at most, its records in base64; what is left for one, with its surroundings. */
const LARGEST_DELIVERED = 4 * MIB;
/** A stream on demand starts with these. */
const ON_DEMAND_SHARDS = 4;
/** Partitions for each place that a batch can run in, so that chance leaves none of them idle. */
const PARTITIONS_PER_PLACE = 4;

/** What transform takes for the largest record, what the stream takes, what Lambda delivers, and how large frames get. */
export const recordSize: Check = ({ functions, mappings }, { manifest }) => {
  const stream = frameStream(mappings);
  return functions.flatMap(({ id, name, environment }): Problem[] => {
    if (name !== 'transform' && name !== 'reprocess') return [];
    const believed = numberOf(environment['SLUICE_STREAM_RECORD_BYTES']) ?? MIB;
    const problem = { code: 'D_RECORD_SIZE', resource: id } as const;
    if (stream !== undefined && believed > stream.recordBytes)
      return [
        {
          ...problem,
          severity: 'error',
          message: `${name} puts records of up to ${believed} bytes, and the stream refuses them above ${stream.recordBytes}`,
          remedy:
            'Set SLUICE_STREAM_RECORD_BYTES to what the stream takes (MaxRecordSizeInKiB × 1024), or raise that.',
        },
      ];
    if (believed > LARGEST_DELIVERED)
      return [
        {
          ...problem,
          severity: 'error',
          message: `records of up to ${believed} bytes fit the stream, but not an event of Lambda (6 MB in base64)`,
          remedy: `Set SLUICE_STREAM_RECORD_BYTES to ${LARGEST_DELIVERED} at most: larger frames go by claim check.`,
        },
      ];
    if (manifest !== undefined && manifest.maxFrameBytes > believed)
      return [
        {
          ...problem,
          severity: 'warning',
          message: `frames hold up to ${manifest.maxFrameBytes} bytes before compression, records ${believed}: those that compress badly go by claim check, two more requests to S3 each`,
          remedy: 'Lower limits.maxFrameBytes under a new version, or raise the record size of the stream.',
        },
      ];
    return [];
  });
};

export const partitions: Check = ({ mappings }, { manifest }) => {
  if (manifest === undefined) return [];
  return mappings.flatMap((mapping): Problem[] => {
    if (mapping.kind !== 'stream' || mapping.target.name !== 'analyze' || mapping.stream === undefined)
      return [];
    const shards = mapping.stream.shards ?? ON_DEMAND_SHARDS;
    const places = shards * mapping.parallelizationFactor;
    const wanted = PARTITIONS_PER_PLACE * places;
    if (manifest.partitions >= wanted) return [];
    return [
      {
        code: 'D_PARTITIONS',
        severity: 'warning',
        resource: mapping.id,
        message: `${manifest.partitions} partitions spread badly over ${places} places (${shards} shards × ${mapping.parallelizationFactor}): some wait, some have nothing to do`,
        remedy: `Set \`partitions\` to ${wanted} or more under a new version, or have fewer shards.`,
      },
    ];
  });
};

function frameStream(mappings: Parameters<Check>[0]['mappings']) {
  for (const mapping of mappings)
    if (mapping.kind === 'stream' && mapping.target.name === 'analyze') return mapping.stream;
  return undefined;
}
