import { createJobs, defineJob, ExecutionFailed } from 'blaxel-jobs'
import { createWorker } from 'blaxel-jobs/worker'
import { z } from 'zod'

// Create durably instance (see Getting Started for dialect setup)
const durably = createJobs()

const myJobDef = defineJob({
  name: 'my-job',
  input: z.object({ id: z.string() }),
  output: z.object({ result: z.string() }),
  run: async (step, payload) => {
    // Job implementation
    return { result: 'done' }
  },
})

// Register to get a job handle
const { myJob } = durably.register({
  myJob: myJobDef,
})

const someValue = 'some value'
const stepsDef = defineJob({
  name: 'steps',
  run: async (step) => {
    const result = await step.run('step-name', async () => {
      // Step logic here
      return someValue
    })
    const same: string = result
    return same
  },
})

const goodNamesDef = defineJob({
  name: 'good-names',
  run: async (step) => {
    // Good - unique names
    await step.run('fetch-user', async () => { ran.push('fetch-user') })
    await step.run('update-profile', async () => { ran.push('update-profile') })
  },
})
const badNamesDef = defineJob({
  name: 'bad-names',
  run: async (step) => {
    // Bad - duplicate names will cause issues
    await step.run('step', async () => { ran.push('step') })
    await step.run('step', async () => { ran.push('step') }) // Won't work correctly
  },
})
const ran: string[] = []

let someCondition = true
const mightFailDef = defineJob({
  name: 'might-fail',
  run: async (step) => {
    const result = await step.run('before', () => { ran.push('before'); return 'saved' })
    await step.run('might-fail', async () => {
      if (someCondition) {
        throw new Error('Something went wrong')
      }
      return result
    })
    return result
  },
})

// The worker, which durably has in its instance
const { steps, goodNames, badNames, mightFail } = durably.register({
  steps: stepsDef,
  goodNames: goodNamesDef,
  badNames: badNamesDef,
  mightFail: mightFailDef,
})
const worker = createWorker({ jobs: [myJobDef, stepsDef, goodNamesDef, badNamesDef, mightFailDef], say: () => {} })
await worker.start()

await myJob.trigger({ id: 'abc123' })

// With Idempotency Key
const first =
  await myJob.trigger(
    { id: 'abc123' },
    { idempotencyKey: 'unique-request-id' }
  )
const second =
  await myJob.trigger(
    { id: 'abc123' },
    { idempotencyKey: 'unique-request-id' }
  )
console.log('one run for one key:', first.id === second.id)

// With Concurrency Key
await myJob.trigger(
  { id: 'abc123' },
  { concurrencyKey: 'user_123' }
)

const { output } = await myJob.triggerAndWait({ id: 'abc123' })
console.log('output:', output.result)
console.log('step:', (await steps.triggerAndWait(null)).output)
await goodNames.triggerAndWait(null)
const bad = await (await badNames.trigger(null)).wait()
console.log('bad names:', bad.status, bad.error?.type)

// Error Handling
const run = await mightFail.trigger(null)
await run.getResult().catch((error) => console.log('failed:', error instanceof ExecutionFailed, run.status, run.error?.message))
someCondition = false
const runId = run.id
const again = await durably.retry(runId)
console.log('retried:', await again.getResult())
console.log('ran:', ran.join(' '))
await worker.stop()
