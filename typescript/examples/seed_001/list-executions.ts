import { blJob } from "blaxel-jobs";

const job = blJob("my-job");
await job.createExecution({ tasks: [{ duration: 1 }] });
const executions = await job.listExecutions();
console.log(`Found ${executions.length} executions`);
