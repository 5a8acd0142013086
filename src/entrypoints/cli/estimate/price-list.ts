import type { PriceList } from './prices.ts';

const PRICE_BOOK =
  'https://github.com/ocelhq/ocel (its research on prices quotes AWS’s price list of 2026-08-31)';
const KINESIS =
  'https://aws.amazon.com/kinesis/data-streams/pricing/ (as quoted from AWS’s price list of September 2026)';
const VALKEY =
  'https://www.usage.ai/blogs/aws/database-savings-plans/elasticache/serverless-pricing/ (June 2026)';
const CLOUDWATCH =
  'https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/ (June 2026)';

/**
 * AWS's list prices as they were looked up on the day `asOf`: on demand, the first tier, without taxes and free tiers. The sources are pages and repositories that quote
 * AWS's price list; the list itself (pricing.us-east-1.amazonaws.com/offers/v1.0/aws) was not at hand. A region comes in when somebody has looked up all of its prices.
 */
export const builtInPrices: PriceList = {
  asOf: '2026-11-28',
  sources: {
    lambdaRequests: PRICE_BOOK,
    lambdaGigabyteSecond: PRICE_BOOK,
    lambdaPollerHour: 'https://aws.amazon.com/lambda/pricing/ (pricing example 2, real-time events by SQS)',
    s3Writes: PRICE_BOOK,
    s3Reads: PRICE_BOOK,
    sqsRequests: 'https://cloudburn.io/blog/amazon-sqs-pricing (March 2026)',
    kinesisShardHour: KINESIS,
    kinesisPayloadUnits: KINESIS,
    kinesisStreamHour: KINESIS,
    kinesisGigabyteIn: KINESIS,
    kinesisGigabyteOut: KINESIS,
    auroraCapacityUnitHour: 'https://c3x.dev/blog/aws-aurora-serverless-v2-cost/ (2026)',
    auroraGigabyteMonth: 'https://awsnegotiations.com/blog/aurora-serverless-v2-pricing.html (May 2026)',
    auroraRequests: 'https://github.com/JasonZ-Git/JasonTechnology (git-books/AWS_Pricing_Simple.md)',
    cacheGigabyteHour: VALKEY,
    cacheUnits: VALKEY,
    endpointHour: 'https://aws.amazon.com/privatelink/pricing/ (as quoted in October 2026)',
    logsGigabyte: CLOUDWATCH,
    alarmMonth: CLOUDWATCH,
    dashboardMonth: CLOUDWATCH,
    keyMonth: 'https://aws.amazon.com/kms/pricing/ (as quoted in September 2026)',
    serverHour: 'https://aws.amazon.com/ec2/pricing/on-demand/ (c7g.large, as quoted in 2026)',
    diskGigabyteMonth: 'https://aws.amazon.com/ebs/pricing/ (as quoted in 2026)',
  },
  regions: {
    'us-east-1': {
      lambdaRequests: 0.2,
      lambdaGigabyteSecond: 0.0000133334,
      lambdaPollerHour: 0.00925,
      s3Writes: 5,
      s3Reads: 0.4,
      sqsRequests: 0.4,
      kinesisShardHour: 0.015,
      kinesisPayloadUnits: 0.014,
      kinesisStreamHour: 0.04,
      kinesisGigabyteIn: 0.08,
      kinesisGigabyteOut: 0.04,
      auroraCapacityUnitHour: 0.12,
      auroraGigabyteMonth: 0.1,
      auroraRequests: 0.2,
      cacheGigabyteHour: 0.084,
      cacheUnits: 0.0023,
      endpointHour: 0.01,
      logsGigabyte: 0.5,
      alarmMonth: 0.1,
      dashboardMonth: 3,
      keyMonth: 1,
      serverHour: 0.0725,
      diskGigabyteMonth: 0.08,
    },
  },
};
