/** What is used of peers that bring no types. */

interface HighlandStream<T> {
  map<U>(change: (value: T) => U): HighlandStream<U>;
  through<Out>(step: (stream: HighlandStream<T>) => Out): Out;
}

declare module 'highland' {
  export default function highland<T>(source: AsyncIterable<unknown> | readonly T[]): HighlandStream<T>;
}

declare module 'aws-lambda-stream/sinks/kinesis' {
  export function publishToKinesis(options: {
    readonly streamName: string;
    readonly batchSize: number;
    readonly parallel: number;
  }): <UnitOfWork>(stream: HighlandStream<UnitOfWork>) => HighlandStream<UnitOfWork>;
}

declare module 'aws-lambda-stream/utils/handler' {
  export function toPromise<T>(stream: HighlandStream<T>): Promise<string>;
}
