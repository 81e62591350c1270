// The same process as main.ts, with the working half alone.
process.env['ROLE'] = 'worker';
await import('./main.js');
