import { burstOf, type Burst } from './burst.ts';
import { costOf, type Cost } from './cost.ts';
import type { Deployment } from './deployment.ts';
import { DAYS_PER_MONTH } from './limits-of-aws.ts';
import { notesOf } from './notes.ts';
import type { RegionPrices } from './prices.ts';
import { quantitiesOf, type Quantities } from './quantities.ts';
import type { Rates } from './rates.ts';
import { breakEvenOf, serversOf, type BreakEven, type Servers } from './servers.ts';
import type { Workload } from './workload.ts';

export interface EstimateRequest {
  readonly workload: Workload;
  readonly deployment: Deployment;
  readonly rates: Rates;
  readonly prices: RegionPrices;
  /** Of the busiest moment, over the average. */
  readonly peak: number;
  /** Functions wanted at once. */
  readonly functions: number;
  readonly accountConcurrency: number;
}

export interface Estimate {
  readonly quantities: Quantities;
  readonly cost: Cost;
  /** Of a month of such days; `null` where the work is done once. */
  readonly usdPerMonth: number | null;
  readonly burst: Burst;
  readonly servers: Servers;
  readonly breakEven: BreakEven;
  /** What stands in the way, in sentences. */
  readonly notes: readonly string[];
}

/** Arithmetic and nothing else: the same request gives the same estimate. */
export function estimate(request: EstimateRequest): Estimate {
  const { workload, deployment, rates, functions, accountConcurrency } = request;
  const quantities = quantitiesOf(workload, deployment, rates);
  const cost = costOf(quantities, request);
  const burst = burstOf(functions, { workload, deployment, rates, quantities, accountConcurrency });
  return {
    quantities,
    cost,
    usdPerMonth: workload.per === 'day' ? cost.workUsd * DAYS_PER_MONTH + cost.standingUsd : null,
    burst,
    servers: serversOf(quantities, request),
    breakEven: breakEvenOf(request),
    notes: notesOf(request, quantities, burst),
  };
}
