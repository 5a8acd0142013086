// What a stack on Lambda is tried with, on one machine.

export { startFaultProxy, type FaultProxy, type FaultProxyOptions } from '../fault-proxy.ts';
export type {
  BatchOperation,
  StruckWireFault,
  WireFault,
  WireFaultKind,
} from '../fault-proxy/wire-faults.ts';
