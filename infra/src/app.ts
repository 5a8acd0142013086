import { App, type AppProps, Stack, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import {
  databaseSettingsOf,
  networkOf,
  Parameters,
  pipelinePropsOf,
  resultsAreInS3,
} from './app-parameters.ts';
import { SluiceFoundation } from './foundation.ts';
import { readManifest } from './manifest.ts';
import { SluicePipeline } from './sluice-pipeline.ts';

/** The names of a pipeline's two stacks. */
export function stackNames(
  { pipeline, version }: { readonly pipeline: string; readonly version: number },
  given: { readonly stack?: string | undefined; readonly foundation?: string | undefined } = {},
): { readonly pipeline: string; readonly foundation: string } {
  // CloudFormation knows no underscores.
  const name = pipeline.replaceAll('_', '-');
  return {
    pipeline: given.stack ?? `sluice-${name}-v${version}`,
    foundation: given.foundation ?? `sluice-${name}`,
  };
}

/**
 * Two stacks: the foundation, which stays, and one version of one pipeline. Nothing is looked up, so both are synthesized without AWS; account and region are
 * those that they are deployed with. cdk-nag checks both, and a finding ends the synthesis.
 */
export function sluiceApp(
  props?: AppProps,
  { checks = true }: { readonly checks?: boolean } = {},
): {
  readonly app: App;
  /** `null`: results lie in S3. */
  readonly foundation: Stack | null;
  readonly pipeline: Stack;
} {
  const app = new App({
    analyticsReporting: false,
    ...props,
    // What a pipeline uses of the foundation cannot be taken from under it.
    context: { '@aws-cdk/core:defaultCrossStackReferences': 'strong', ...props?.context },
  });
  const given = new Parameters(app.node);
  const build = given.needed('build', 'write it with `sluice build my-pipeline.ts --out DIR`');
  const manifest = readManifest(build);
  const names = stackNames(manifest, { stack: given.text('stack'), foundation: given.text('foundation') });
  if (names.foundation === names.pipeline) throw new Error(`stack and foundation are both ${names.pipeline}`);
  const foundation = resultsAreInS3(given) ? null : foundationOf(app, names.foundation, given);
  const pipelineStack = new Stack(app, names.pipeline, {
    description: `Sluice: ${manifest.pipeline}@${manifest.version}`,
  });
  const pipeline = new SluicePipeline(pipelineStack, 'Pipeline', {
    ...pipelinePropsOf(given),
    build,
    foundation,
  });
  if (pipeline.manifest.build !== manifest.build)
    throw new Error('the build folder changed while it was read');
  if (checks) Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));
  return { app, foundation: foundation === null ? null : Stack.of(foundation), pipeline: pipelineStack };
}

function foundationOf(app: App, name: string, given: Parameters): SluiceFoundation {
  const stack = new Stack(app, name, {
    description: 'Sluice: network and results',
    terminationProtection: true,
  });
  const foundation = new SluiceFoundation(stack, 'Foundation', {
    network: networkOf(given),
    database: databaseSettingsOf(given),
  });
  foundation.exportAll();
  return foundation;
}
