import path from 'node:path';

/** A process of a function ends itself at one of the calls that it makes over the network from now on. */
export interface DeathOrder {
  /** From 0. */
  readonly call: number;
  /** Before it is sent, or when its answer has arrived and nobody has seen it. */
  readonly moment: 'before' | 'after';
}

export const orderFile = (folder: string, functionName: string): string =>
  path.join(folder, `${functionName}.json`);

/** It is there as long as the order of the process that took it holds. */
export const takenOrder = (folder: string, functionName: string): string =>
  path.join(folder, `${functionName}.taken.json`);
