// What a provider is checked with; needs vitest and fast-check beside it.

export { objectSourceContract, type ObjectSourceHarness } from './object-source-contract.ts';
export { recordSinkContract, type RecordSinkHarness } from './record-sink-contract.ts';
export { taskQueueContract, type TaskQueueHarness } from './task-queue-contract.ts';
export { dedupStoreContract, type DedupStoreHarness } from './dedup-store-contract.ts';
export {
  errorRouterContract,
  type DeliveredFailure,
  type ErrorRouterHarness,
} from './error-router-contract.ts';
export { killedRowsContract, type KilledRowsHarness } from './killed-rows-contract.ts';
export {
  resultStoreContract,
  type ResultStoreContract,
  type ResultStoreFixture,
} from './result-store-contract.ts';
export type { ContractHarness } from './harness.ts';
export { withFaults, type Fault, type FaultyPort } from './faults.ts';
export * from './simulator/index.ts';
