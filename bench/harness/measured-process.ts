/**
 * What is measured, in a process of its own: imports a contender, lets it prepare and then work, and says what that took. What its modules and its preparation
 * take is left out, what it starts itself (threads, connections) is not.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { ContenderModule, MeasuredHere } from './contender.ts';

const [module = '', options = 'null'] = process.argv.slice(2);
// Ctrl-C reaches the whole group: whoever started this process ends it, or is gone.
process.on('disconnect', () => process.exit(1));

const { prepare, default: work } = (await import(module)) as ContenderModule;
const given = JSON.parse(options) as never;
const prepared = await prepare?.(given);
const cpu = process.cpuUsage();
const begunAt = performance.now();
const counts = await work(given, prepared as never);
const wallMs = performance.now() - begunAt;
const { user, system } = process.cpuUsage(cpu);
const whole = process.cpuUsage();
const measured: MeasuredHere = {
  wallMs,
  cpuMs: (user + system) / 1_000,
  wholeCpuMs: (whole.user + whole.system) / 1_000,
  peakBytes: peakBytes(),
  counts,
};
process.send?.(measured, () => process.exit(0));

/** `maxRSS` survives `exec`: it would show what the parent held when it forked. */
function peakBytes(): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kib !== undefined) return Number(kib) * 1_024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1_024;
}
