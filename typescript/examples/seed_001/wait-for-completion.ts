import { blJob } from "blaxel-jobs";

const job = blJob("my-job");
const executionId = await job.createExecution({ tasks: [{ duration: 60 }] });
const result = await job.waitForExecution(executionId, {
  maxWait: 300000,  // 5 minutes (milliseconds)
  interval: 2000,   // Poll every 2 seconds (milliseconds)
});
console.log(`✓ Completed: ${result.status}`);
