// What a stack on Lambda is tried with, on one machine: needs the clients of AWS that the mappings are given.

export { startFaultProxy, type FaultProxy, type FaultProxyOptions } from '../fault-proxy.ts';
export type {
  BatchOperation,
  StruckWireFault,
  WireFault,
  WireFaultKind,
} from '../fault-proxy/wire-faults.ts';
export {
  FunctionError,
  inProcessFunction,
  RequestTooLargeError,
  ThrottledError,
  type FunctionCounts,
  type InvokeFunction,
  type TwinFunction,
} from './function-call.ts';
export { ExecutionEnvironment } from './function-process.ts';
export type { FunctionLog, FunctionLogLine, FunctionSettings } from './function-process.ts';
export { ProcessFunction, type ProcessFunctionSettings } from './function-pool.ts';
export { LambdaTwin, type LambdaTwinOptions, type Switch } from './lambda-twin.ts';
export {
  QueueMappingTwin,
  type QueueMappingCounts,
  type QueueMappingTwinOptions,
} from './queue-mapping-twin.ts';
export { RuntimeApiServer, type RuntimeInvocation, type RuntimeOutcome } from './runtime-api-server.ts';
export type { FailureDestination } from './failure-destination.ts';
export {
  StreamMappingTwin,
  type StreamMappingCounts,
  type StreamMappingTwinOptions,
} from './stream-mapping-twin.ts';
