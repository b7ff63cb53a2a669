// What runs in a container: `node runner.mjs MODULE` starts `blStartJob` of that module.
const { blStartJob } = await import(process.argv[2]);

blStartJob(async (fields) => console.log(JSON.stringify({ fields })));
