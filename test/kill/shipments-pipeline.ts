import { pipelineSource, type Shipment } from '../cli/shipments.ts';

/** Of shipments: some rows fail, some make two messages, some messages fail, some are flagged, some groups have a finding. */
export function shipmentsPipeline(more = ''): string {
  return pipelineSource({
    transform:
      "if (row.delay === 170) throw new DomainError('rejected', { code: 'E_REJECTED' }); return row.delay % 7 === 0 ? [row, { ...row, lane: 'seventh' }] : row;",
    groupBy: "if (message.weight === 999) throw new Error('too heavy'); return message.lane;",
    measures: 'delay: quantiles((message: any) => message.delay),',
    analyze: `flag: (message: any) => message.weight === 0 ? { kind: 'empty', message: message.id } : null,
    findings: (lane: string, { late }: any) => ({ kind: 'late', message: \`\${lane}: \${late} late\` }),`,
    more,
  });
}

/** The messages that are applied, worked out plainly. */
export function appliedMessages(rows: readonly Shipment[]): Shipment[] {
  return rows
    .filter(({ delay }) => delay !== 170)
    .flatMap((row) => (row.delay % 7 === 0 ? [row, { ...row, lane: 'seventh' }] : [row]))
    .filter(({ weight }) => weight !== 999);
}
