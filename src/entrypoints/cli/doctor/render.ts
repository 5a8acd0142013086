import { formatCount } from '../terminal/format.ts';
import { createStyle } from '../terminal/style.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { printable } from '../terminal/text.ts';
import type { LogFinding } from './logs.ts';
import type { Problem } from './problem.ts';

export function renderProblems(problems: readonly Problem[], { color }: Terminal): string {
  const style = createStyle(color);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const lines = problems.flatMap(({ code, severity, resource, message, remedy }) => [
    `${(severity === 'error' ? style.bad : style.warning)(severity)} ${style.strong(code)} ${printable(resource)}`,
    `  ${printable(message)}`,
    `  ${style.faint(remedy)}`,
  ]);
  const summary =
    problems.length === 0
      ? style.good('the stack is as it has to be')
      : `${formatCount(errors)} errors, ${formatCount(problems.length - errors)} warnings`;
  return [...lines, summary, ''].join('\n');
}

export function renderLogFindings(
  { lines, findings }: { readonly lines: number; readonly findings: readonly LogFinding[] },
  { color }: Terminal,
): string {
  const style = createStyle(color);
  const found = findings.flatMap(({ code, count, meaning, example, remedy }) => [
    `${style.bad(code)} ${formatCount(count)} ×  ${meaning}`,
    `  ${printable(example)}`,
    `  ${style.faint(remedy)}`,
  ]);
  const summary =
    findings.length === 0
      ? style.good(`no hidden errors in ${formatCount(lines)} lines`)
      : `hidden errors in ${formatCount(lines)} lines: ${formatCount(findings.reduce((sum, { count }) => sum + count, 0))}`;
  return [...found, summary, ''].join('\n');
}
