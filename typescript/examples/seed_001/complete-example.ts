import { blJob } from "blaxel-jobs";

const job = blJob("data-processing");

// Create execution
const executionId = await job.createExecution({
  tasks: [{ duration: 60 }, { duration: 60 }]
});

// Monitor
let status = await job.getExecutionStatus(executionId);
console.log(`Status: ${status}`);

// Wait
try {
  const result = await job.waitForExecution(executionId, {
    maxWait: 180000,
    interval: 5000,
  });
  console.log(`✓ Completed: ${result.status}`);
} catch (error) {
  console.log(`⚠ Timeout: ${error.message}`);
}
