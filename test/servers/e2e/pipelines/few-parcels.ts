// A batch of 50 rows makes few frames, so that few calls apply them.
import type { AnyPipeline } from 'sluice';
import { pipelineOfParcels } from '../../chaos/pipeline-of-parcels.ts';

export default pipelineOfParcels('few-parcels', 2) satisfies AnyPipeline;
