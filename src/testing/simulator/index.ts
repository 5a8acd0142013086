// The whole of Sluice in one process, on a virtual clock, with everything going wrong that does in a cloud.
export { expectExactlyOnce, type ExactlyOnceOptions } from './expect-exactly-once.ts';
export { simulate, type Outcome } from './simulate.ts';
export { scenarioOf, type Scenario } from './scenario.ts';
export { shrink } from './shrink.ts';
export { describeOutcome } from './describe-outcome.ts';
export { callFaults, platformFaults, noFaults, type FaultKind, type FaultRates } from './faults.ts';
export { useCases, type FunctionCall, type Functions, type Program } from './functions.ts';
export type { Subject, SubjectObject, VersionOfCode } from './subject.ts';
