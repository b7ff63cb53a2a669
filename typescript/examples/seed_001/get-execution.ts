import { blJob } from "blaxel-jobs";

const job = blJob("my-job");
const executionId = await job.createExecution({ tasks: [{ duration: 1 }] });
const execution = await job.getExecution(executionId);
console.log(execution.status, execution.metadata);
