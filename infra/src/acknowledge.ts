import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Says of one resource why findings of cdk-nag are meant to be. Each finding is named by itself: a new wildcard in the same role fails again.
 *
 * @param findings `AwsSolutions-S1`, `AwsSolutions-IAM5[Resource::*]`
 */
export function acknowledge(resource: IConstruct, findings: readonly string[], reason: string): void {
  for (const id of findings) Validations.of(resource).acknowledge({ id, reason });
}
