import { blJob } from "blaxel-jobs";

const job = blJob("my-job");
const executionId = await job.createExecution({ tasks: [{ duration: 1 }] });
const status = await job.getExecutionStatus(executionId);
// Returns: "pending" | "running" | "completed" | "failed"
console.log(`Status: ${status}`);
