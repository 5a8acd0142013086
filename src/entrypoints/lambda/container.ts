import 'reflect-metadata/lite';
import { Container, type ContainerModule, type ServiceIdentifier } from 'inversify';
import { SystemRandom } from '../../adapters/inmemory/random.ts';
import { tokens } from '../../adapters/tokens.ts';
import { mergeStates } from '../../application/measures/state.ts';
import type { Log, Metrics } from '../../domain/ports/ambient.ts';
import type { Surroundings } from './handler.ts';
import { currentOwner } from './owners.ts';

/**
 * Makes what a function works with: a container of its own for each attempt, because a container remembers for ever what it failed
 * to make. An attempt that fails leaves nothing open.
 */
export async function composed<Ports>(
  { clock, log }: Surroundings,
  modules: readonly ContainerModule[],
  gather: (container: Container) => Promise<Ports>,
): Promise<Ports> {
  const container = new Container();
  container.bind(tokens.clock).toConstantValue(clock);
  container.bind(tokens.random).toConstantValue(new SystemRandom({ clock }));
  container.bind(tokens.log).toConstantValue(currentLog(log));
  container.bind(tokens.metrics).toConstantValue(currentMetrics);
  container.bind(tokens.mergeStates).toConstantValue(mergeStates);
  container.load(...modules);
  try {
    return await gather(container);
  } catch (thrown) {
    await container.unbindAllAsync();
    throw thrown;
  }
}

/** Of a port that this function may do without. */
export function optional<Port>(container: Container, token: ServiceIdentifier<Port>): Port | null {
  return container.isBound(token) ? container.get(token) : null;
}

/** Adapters are shared by invocations: what one of them says or counts is that one's for which it works just then. */
function currentLog(container: Log): Log {
  const log = () => currentOwner()?.log ?? container;
  return {
    debug: (fields, message) => log().debug(fields, message),
    info: (fields, message) => log().info(fields, message),
    warn: (fields, message) => log().warn(fields, message),
    error: (fields, message) => log().error(fields, message),
  };
}

const currentMetrics: Metrics = { add: (counter, value) => currentOwner()?.metrics.add(counter, value) };
