import { blJob } from "blaxel-jobs";

const job = blJob("my-job");
const executionId = await job.createExecution({
  tasks: [
    { duration: 30 },
    { duration: 60 },
  ]
});
console.log(`Created: ${executionId}`);
