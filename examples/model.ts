// What the pipelines of this team share: the shape of the lake's rows and of the messages made of them.
import { DomainError, type RowOf } from 'sluice';

/** Columns of the flights in the lake, with their types. */
export const flightColumns = {
  date: 'timestamp',
  delay: 'number',
  distance: 'number',
  origin: 'string',
  destination: 'string',
} as const;

export type FlightRow = RowOf<typeof flightColumns>;

/** One consignment on its way: a flight, seen as the leg of an air-cargo network. */
export interface Leg {
  /** `LAX-LAS` */
  lane: string;
  origin: string;
  destination: string;
  /** Minutes after schedule at arrival; negative: early. */
  delay: number;
  /** Miles. */
  distance: number;
  /** Hour of departure, 0 to 23, UTC. */
  hour: number;
}

/** Freight is promised for the hour: what comes up to 15 minutes late is on time. */
export const LATE_AFTER_MINUTES = 15;

export function toLeg(row: FlightRow): Leg {
  const { date, delay, distance, origin, destination } = row;
  if (date === null || delay === null || distance === null || origin === null || destination === null) {
    throw new DomainError('a flight needs date, delay, distance, origin and destination', {
      code: 'E_FLIGHT_INCOMPLETE',
    });
  }
  return { lane: `${origin}-${destination}`, origin, destination, delay, distance, hour: date.getUTCHours() };
}
