import type { S3Calls } from '../../adapters/aws/s3-client.ts';
import { LOCAL_BUCKET } from '../../adapters/local/object-source.ts';
import type { LakeObject } from '../../domain/lake-object.ts';
import type { Clock, Metrics, Random } from '../../domain/ports/ambient.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';

interface LakePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
}

/**
 * Files and S3 as one lake: `s3://…` is on S3, everything else on this machine. S3's client is loaded when it is first asked for, and
 * finds region, endpoint and credentials where the AWS command line does.
 */
export function lakeOfFilesAndS3(files: ObjectSource, ports: LakePorts): ObjectSource {
  let s3: Promise<ObjectSource> | undefined;
  const onS3 = () => (s3 ??= openS3(ports));
  const of = async ({ bucket }: { readonly bucket: string }) => (bucket === LOCAL_BUCKET ? files : onS3());
  return {
    capabilities: files.capabilities,
    async *list(location, signal, after) {
      const source = location.startsWith('s3://') ? await onS3() : files;
      yield* source.list(location, signal, after);
    },
    async stat(name, signal) {
      return (await of(name)).stat(name, signal);
    },
    async *read(object: LakeObject, range, signal) {
      yield* (await of(object)).read(object, range, signal);
    },
  };
}

async function openS3(ports: LakePorts): Promise<ObjectSource> {
  const { S3ObjectSource } = await import('../../adapters/aws/object-source.ts');
  return new S3ObjectSource({ ...ports, calls: await openS3Calls() });
}

export async function openS3Calls(): Promise<S3Calls> {
  const { createS3Calls } = await import('../../adapters/aws/s3-client.ts');
  return createS3Calls({ pathStyle: process.env['SLUICE_S3_PATH_STYLE'] === 'true' });
}
