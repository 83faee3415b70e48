// Brings the offer form into view once a negotiation with a person has begun or is joined.
() => { if (document.querySelector('#play-builder form')) hold('#play-builder', 'nearest'); }
