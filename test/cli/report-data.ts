import type { PublishedGroup } from '../../src/domain/ports/result-store.ts';
import type { ProgressSample, ReportPageData, RunReport } from '../../src/entrypoints/cli/run-report.ts';

/** A run of 3,000,000 flights in twenty seconds, as the page gets it: 1,000 of 4,012 lanes, and some failures. */
export function realisticData(): ReportPageData {
  const random = randomNumbers(7);
  const groups = lanes(1_000, random);
  return {
    report: reportOf({
      failed: { total: 1_287, byCode: { E_SCHEMA: 1_204, E_VALUE_TYPE: 71, E_IMPOSSIBLE_SPEED: 12 } },
    }),
    startedAt: Date.UTC(2026, 10, 23, 6, 30, 12),
    build: '9f2c4b7ad0e1865c3d7f',
    sluiceVersion: '0.1.0',
    samples: samplesOver(20, random),
    measures: [
      { name: 'flights', kind: 'count' },
      { name: 'late', kind: 'countIf' },
      { name: 'lateShare', kind: 'mean' },
      { name: 'distance', kind: 'max' },
      { name: 'delay', kind: 'quantiles' },
    ],
    groups,
    findingsByKind: [
      { kind: 'late-lane', severity: 'warning', count: 212 },
      { kind: 'long-tail', severity: 'critical', count: 31 },
      { kind: 'thin-lane', severity: 'info', count: 640 },
    ],
    failures: [
      {
        code: 'E_VALUE_TYPE',
        stage: 'read',
        count: 71,
        example: { position: 'flights-3m.parquet, row 1,204,331', message: 'delay: "n/a" is not a number' },
      },
      {
        code: 'E_SCHEMA',
        stage: 'transform',
        count: 1_204,
        example: {
          position: 'lake/flights/yyyy=2001/mm=01/flights-3m.parquet, row 88,120',
          message: 'destination: expected three letters, got "OR1"',
        },
      },
      {
        code: 'E_IMPOSSIBLE_SPEED',
        stage: 'analyze',
        count: 12,
        example: {
          position: 'flights-3m.parquet, row 2,000,017, output 0',
          message: '4,983 miles in 20 minutes',
        },
      },
    ],
    balance: [
      {
        label: 'rows',
        whole: { label: 'rows', value: 3_000_000 },
        parts: [
          { label: 'pruned', value: 250_000 },
          { label: 'filtered', value: 41_234 },
          { label: 'failed', value: 1_275 },
          { label: 'transformed', value: 2_707_491 },
        ],
        balanced: true,
      },
      {
        label: 'messages',
        whole: { label: 'made', value: 2_707_491 },
        parts: [
          { label: 'applied', value: 2_707_479 },
          { label: 'open failures', value: 12 },
        ],
        balanced: true,
      },
    ],
  };
}

/** A second run over the same objects: nothing to read, nothing applied. */
export function emptyData(): ReportPageData {
  return {
    ...realisticData(),
    report: reportOf({
      sections: 0,
      bytesRead: 0,
      bytesTotal: 0,
      rowsRead: 0,
      applied: 0,
      groups: 0,
      findings: 0,
      seconds: 0.04,
    }),
    samples: [],
    groups: [],
    findingsByKind: [],
    failures: [],
    balance: [],
  };
}

export const MARKUP = `</script><script>document.title='owned'</script><img src=x onerror="document.title='owned'"><!--`;
const NASTY = [
  MARKUP,
  `" onmouseover="document.title='owned'" x='`,
  '日本語 🛫 العربية',
  '\u202Egnp.exe\u0000\u001b[31m',
  '__proto__',
  '',
  '\ud800',
  '${1}$&`',
];

/** Data that wants to get out, in every place that holds data; and nothing balances. */
export function hostileData(): ReportPageData {
  const data = realisticData();
  return {
    ...data,
    report: reportOf({
      pipeline: MARKUP,
      run: MARKUP,
      generation: `x'; rm -rf / ${MARKUP}`,
      complete: false,
      failed: { total: 3, byCode: { [MARKUP]: 3 } },
      refused: { total: 2, byCode: { E_OTHER_BUILD: 1, [MARKUP]: 1 } },
      groups: NASTY.length,
    }),
    build: MARKUP,
    sluiceVersion: MARKUP,
    measures: [
      { name: MARKUP, kind: 'max' },
      { name: '__proto__', kind: 'count' },
      { name: '日本語', kind: 'quantiles' },
    ],
    groups: NASTY.map((name, at) => ({
      group: name.repeat(1 + (at % 3)),
      measures: Object.fromEntries([
        [MARKUP, at === 0 ? Number.POSITIVE_INFINITY : MARKUP],
        ['__proto__', 2n ** 60n + BigInt(at)],
        [
          '日本語',
          at === 1 ? null : { count: 3, min: -1, p50: Number.NaN, p90: 2, p95: 3, p99: 4e12, max: 5e12 },
        ],
      ]),
      findings: [{ kind: name, message: MARKUP, severity: MARKUP as 'info' }],
    })),
    findingsByKind: NASTY.map((name, at) => ({
      kind: name,
      severity: at % 2 === 0 ? 'critical' : MARKUP,
      count: at,
    })),
    failures: NASTY.map((name, at) => ({
      code: name,
      stage: MARKUP,
      count: at,
      example: { position: name, message: MARKUP },
    })),
    balance: [
      {
        label: MARKUP,
        whole: { label: MARKUP, value: 1_000 },
        parts: [
          { label: MARKUP, value: 300 },
          { label: '__proto__', value: 100 },
        ],
        balanced: false,
      },
      {
        label: 'messages',
        whole: { label: 'made', value: 0 },
        parts: [{ label: 'applied', value: 5 }],
        balanced: false,
      },
    ],
  };
}

/** One group, one measure, no failures. */
export function smallData(): ReportPageData {
  const data = realisticData();
  return {
    ...data,
    report: reportOf({ groups: 1, findings: 0, rowsRead: 12, seconds: 0.4 }),
    samples: data.samples.slice(0, 1),
    measures: [{ name: 'events', kind: 'count' }],
    groups: [{ group: 'all', measures: { events: 12 }, findings: [] }],
    findingsByKind: [],
    failures: [],
  };
}

function reportOf(more: Partial<RunReport>): RunReport {
  return {
    run: '01k5q3m2-9c8f',
    pipeline: 'lane-performance',
    version: 1,
    generation: 'lane-performance@1',
    objects: 1,
    sections: 12,
    tasks: 4,
    bytesRead: 12_840_112,
    bytesTotal: 32_990_871,
    rowsRead: 2_750_000,
    rowsPruned: 250_000,
    rowsFiltered: 41_234,
    messages: 2_707_491,
    frames: 812,
    frameBytes: 41_200_000,
    applied: 2_707_479,
    duplicates: 0,
    failed: { total: 0, byCode: {} },
    refused: { total: 0, byCode: {} },
    groups: 4_012,
    findings: 883,
    seconds: 19.83,
    complete: true,
    ...more,
  };
}

function lanes(amount: number, random: () => number): PublishedGroup[] {
  const airports =
    'ATL ORD DFW LAX PHX DEN IAH DTW MSP LAS STL EWR SFO PHL CLT BOS LGA SLC MCO SEA BWI PIT CVG SAN DCA TPA MIA CLE PDX OAK SJC MDW'.split(
      ' ',
    );
  return Array.from({ length: amount }, (_, rank) => {
    const from = airports[rank % airports.length]!;
    const to = airports[(rank * 7 + 1 + Math.floor(rank / airports.length)) % airports.length]!;
    const flights = Math.round(31_000 / (1 + rank / 60) + random() * 40) + 3;
    const share = Math.min(0.9, 0.12 + random() * 0.25);
    const p50 = -4 + random() * 6;
    const p95 = 25 + random() * 50;
    const late = Math.round(flights * share);
    return {
      group: `${from}-${to}`,
      measures: {
        flights,
        late,
        lateShare: late / flights,
        distance: Math.round(100 + random() * 2_500),
        delay: {
          count: flights,
          min: -30 - Math.floor(random() * 30),
          p50,
          p90: p95 * 0.6,
          p95,
          p99: p95 * (1.8 + random()),
          max: 300 + Math.floor(random() * 1_100),
        },
      },
      findings:
        share > 0.34
          ? [
              {
                kind: 'late-lane',
                severity: 'warning' as const,
                message: `${Math.round(share * 100)}% of the flights are over 15 minutes late`,
              },
            ]
          : [],
    };
  });
}

function samplesOver(seconds: number, random: () => number): ProgressSample[] {
  let rows = 0;
  let bytes = 0;
  return Array.from({ length: seconds * 10 }, (_, at) => {
    const warm = Math.min(1, (at + 1) / 15);
    rows += Math.round(warm * (13_000 + random() * 3_000));
    bytes += Math.round(warm * (55_000 + random() * 25_000));
    return {
      seconds: (at + 1) / 10,
      counters: { rowsRead: rows, bytesRead: bytes, applied: Math.round(rows * 0.9 * Math.min(1, at / 40)) },
      objects: 1,
      bytesToRead: 12_840_112,
      listed: true,
    };
  });
}

/** Numbers in [0, 1), the same for the same seed. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
