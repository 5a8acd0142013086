import { sluiceApp } from '../src/app.ts';

sluiceApp().app.synth();
