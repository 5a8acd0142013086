export { SluiceFoundation, type SluiceFoundationProps } from './foundation.ts';
export { outputKeys, SluicePipeline } from './sluice-pipeline.ts';
export { readManifest, type BuildManifest, type FunctionName } from './manifest.ts';
export type { Database, DatabaseSettings } from './database.ts';
export type { EndpointName, Network, NetworkSettings } from './network.ts';
export type * from './props.ts';
