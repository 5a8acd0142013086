import type { AnyPipeline } from 'sluice';
import { pipelineOfParcels } from './pipeline-of-parcels.ts';

export default pipelineOfParcels('parcels', 8) satisfies AnyPipeline;
