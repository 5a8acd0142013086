/**
 * What clients are given beside the standard settings of AWS (`AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`, roles,
 * profiles …), which they read by themselves: in production nothing.
 */
export interface AwsClientSettings {
  readonly region?: string;
  /** Base URL, for services that speak AWS's language elsewhere. */
  readonly endpoint?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}
