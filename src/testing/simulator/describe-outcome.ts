import type { Outcome } from './simulate.ts';
import type { Scenario } from './scenario.ts';

const MOST_WRONG = 10;
const MOST_HISTORY = 25;

/** What went wrong, and how it came about, for people. */
export function describeOutcome(scenario: Scenario, { lost, duplicated, wrong, history }: Outcome): string {
  const more = wrong.length > MOST_WRONG ? [`  … and ${wrong.length - MOST_WRONG} more`] : [];
  return [
    `seed ${scenario.seed}: ${lost} lost, ${duplicated} duplicated`,
    ...wrong.slice(0, MOST_WRONG).map((what) => `  ${what}`),
    ...more,
    'what happened last:',
    ...history.slice(-MOST_HISTORY).map((what) => `  ${what}`),
    `scenario: ${JSON.stringify(scenario)}`,
  ].join('\n');
}
