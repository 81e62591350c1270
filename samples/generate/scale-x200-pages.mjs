/**
 * What the manual says, page by page.
 *
 * @typedef {object} Block
 * @property {string} [chapter]
 * @property {string} [heading]
 * @property {string} [text]
 * @property {string[]} [list]
 * @property {string[][]} [table]
 * @property {number[]} [columns]
 */

/** @type {Block[][]} */
export const pages = [
  [
    { chapter: '1 About the scale' },
    {
      text:
        'The X200 is a precision scale for laboratories and small production lines. It weighs up to 2,200 g with a readability ' +
        'of 0.01 g and has a built-in calibration weight, so that it can adjust itself without a set of test weights.',
    },
    {
      text:
        'This manual describes the models X200, X200-D with a second display, and X200-B with a battery. Where they differ, the ' +
        'text names the model.',
    },
    { heading: 'What is in the box' },
    {
      list: [
        'the scale with its stainless steel pan, 165 mm across',
        'a draught shield of four panes',
        'a 12 V power supply',
        'two keys for the transport screw',
        'this manual and the certificate of the factory calibration',
      ],
    },
    { heading: 'Safety' },
    {
      text:
        'Use only the power supply that came with the scale. Do not use the X200 where gases could explode: it is not built for ' +
        'hazardous areas. Never open the housing; there are no parts inside that a user can repair.',
    },
    {
      text:
        'Loads above 2,600 g can damage the weighing cell for good. Lift the pan off before you carry the scale, and carry it by ' +
        'the base with both hands.',
    },
  ],
  [
    { chapter: '2 Setting up' },
    { heading: 'Choosing a place' },
    {
      text:
        'Stand the scale on a firm, level table, away from radiators, windows and air conditioning. The room should have between ' +
        '15 and 30 degrees Celsius and not more than 80 percent relative humidity. A change of more than 2 degrees in an hour ' +
        'makes the display drift.',
    },
    { heading: 'Unlocking the transport screw' },
    {
      text:
        'The red transport screw under the base holds the weighing cell still on the way. Turn it a quarter turn to the left with ' +
        'the key until it clicks. Turn it back to the right before the scale is moved or shipped.',
    },
    { heading: 'Levelling' },
    {
      text: 'Turn the two front feet until the bubble stands in the middle of the ring. Level the scale anew whenever it has been moved, even on the same table.',
    },
    { heading: 'Switching on' },
    {
      text:
        'Connect the power supply and press the power key for one second. All segments light up, then the display shows the ' +
        'version of the firmware and at last 0.00 g. Let the scale warm up for 40 minutes before the first calibration; after a ' +
        'transport in the cold, wait for 3 hours.',
    },
  ],
  [
    { chapter: '3 Weighing' },
    { heading: 'Plain weighing and tare' },
    {
      text:
        'Close the draught shield, wait for the star in the left corner of the display, and read the weight. To weigh into a ' +
        'vessel, put it on the pan and press TARE: the display returns to 0.00 g. Tare and load together must not exceed 2,200 g.',
    },
    { heading: 'Counting parts' },
    {
      text:
        'Press MODE until PCS appears. Put 10, 20 or 50 parts on the pan, choose that number with the arrow keys, and press OK. ' +
        'A part should weigh 0.05 g or more, otherwise the count is not reliable.',
    },
    { heading: 'Calibration' },
    {
      text:
        'The X200 calibrates itself with its built-in weight when the temperature has changed by more than 1.5 degrees, and at the ' +
        'latest every 6 hours. To start a calibration by hand, empty the pan and hold CAL for three seconds. It takes 25 seconds; ' +
        'do not touch the table meanwhile.',
    },
    { heading: 'Sending weights to a computer' },
    {
      text:
        'The USB port acts as a serial port with 9,600 baud, 8 data bits, no parity. Each press of PRINT sends one line with date, ' +
        'time, weight and unit. The command S asks for a stable weight, the command SI for the weight of the moment.',
    },
  ],
  [
    { chapter: '4 Error codes' },
    {
      text: 'When something is wrong, the X200 shows the letter E and two digits. Switch the scale off, do what the table says, and switch it on again.',
    },
    {
      columns: [0, 58, 232],
      table: [
        ['Code', 'Meaning', 'What to do'],
        ['E11', 'Overload', 'Take the load off; 2,200 g is the limit'],
        ['E12', 'Underload', 'Put the pan back in its place'],
        ['E21', 'No stable weight', 'Close the shield; move away from draughts'],
        ['E24', 'Scale is not level', 'Turn the front feet until the bubble is centred'],
        ['E33', 'Temperature out of range', 'Bring the room to 15 to 30 degrees'],
        ['E38', 'Supply voltage too low', 'Use the 12 V supply; charge the battery'],
        ['E47', 'Calibration weight is stuck', 'Unlock the transport screw, then hold CAL'],
        ['E48', 'Calibration differs too much', 'Clean the pan, warm up 40 minutes, repeat'],
        ['E52', 'Memory for settings is damaged', 'Load the factory settings; see chapter 5'],
        ['E60', 'Weighing cell does not answer', 'Send the scale to the service'],
      ],
    },
    { heading: 'When an error comes back' },
    {
      text:
        'Note the code and the number on the type plate before you call the service. An E60 that appears three times in a row ' +
        'means that the weighing cell is broken: the scale must not be used any longer.',
    },
  ],
  [
    { chapter: '5 Care and maintenance' },
    {
      columns: [0, 200, 330],
      table: [
        ['Task', 'Interval', 'Done by'],
        ['Wipe the pan and the shield', 'every day', 'user'],
        ['Check the level', 'every week', 'user'],
        ['Test with a 1 kg weight, class F1', 'every month', 'user'],
        ['Clean below the pan', 'every 3 months', 'user'],
        ['Renew the dust filter', 'every 6 months', 'user'],
        ['Calibration with a certificate', 'every 12 months', 'Halden service'],
        ['Renew the battery (X200-B)', 'every 4 years', 'Halden service'],
      ],
    },
    { heading: 'Cleaning' },
    {
      text: 'Unplug the power supply first. Use a soft cloth with water and a little soap, or isopropanol up to 70 percent. Never use acetone, which makes the panes of the draught shield blind, and never let liquid run under the pan.',
    },
    { heading: 'Dust filter' },
    {
      text: 'The dust filter sits behind the grille at the back, part number HX-2093. Pull the grille out, change the filter and press the grille in until it snaps.',
    },
    { heading: 'Factory settings' },
    {
      text: 'Hold MODE and TARE together for five seconds while you switch the scale on. The display shows FACT. Press OK within ten seconds. Stored tare values and the unit are lost, the calibration is kept.',
    },
  ],
  [
    { chapter: '6 Technical data' },
    {
      columns: [0, 200, 330],
      table: [
        ['Property', 'X200 and X200-D', 'X200-B'],
        ['Capacity', '2,200 g', '2,200 g'],
        ['Readability', '0.01 g', '0.01 g'],
        ['Repeatability', '0.01 g', '0.015 g'],
        ['Settling time', '1.2 seconds', '1.5 seconds'],
        ['Weight of the scale', '4.6 kg', '5.1 kg'],
        ['Battery life', 'none', '14 hours'],
        ['Protection', 'IP43', 'IP54'],
      ],
    },
    { heading: 'Warranty' },
    {
      text:
        'Halden Instruments gives a warranty of 36 months from delivery on material and workmanship. It ends when the housing was ' +
        'opened, when the scale was overloaded, or when it was shipped with the transport screw unlocked.',
    },
    { heading: 'Service' },
    {
      text:
        'Write to service@halden-instruments.example with the number on the type plate. Spare parts are kept for 10 years after the ' +
        'last X200 leaves the works. A scale under repair is replaced by a loan scale within 2 working days.',
    },
  ],
];
