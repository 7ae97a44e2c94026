"""Words of tags in square brackets: sounds, manners and degrees, and the settings of voices."""

# Words of the tags in the documentation of Bark, Chatterbox, CosyVoice 3, Dia, ElevenLabs v3, Gemini, Inworld,
# OmniVoice and Orpheus, and of sound descriptions in subtitles.
SOUNDS = """
ahem applause applauds applauding beatbox belch booing breath breathe breathes breathing burp burps cackle cackles
cackling cheer cheering cheers chuckle chuckles chuckling clap clapping claps clear_throat clear-throat clears-throat
clears_throat cough coughing coughs cries crying exclaims exhale exhales exhaling explosion gasp gasping gasps giggle
giggles giggling groan groaning groans growl growls grumbles grunt grunts guffaw guffaws gulp gulps gunshot hiccup
hiccups hissing howls huffs humming hums inhale inhales inhaling kiss laugh laughing laughs laughter lip-smack moan
moaning moans mumble mumbles mumbling murmur murmurs music mutters pant panting pants pauses phew psst quick_breath
scoff scoffs scream screaming screams shh shout shouting shouts shrieks shush shushes sigh sighing sighs silence sing
singing sings sneeze sneezes sniff sniffle sniffles sniffs snore snores snoring snort snorts sob sobbing sobs stammers
stutters swallow swallows tsk uhm weeping weeps wheezes wheezing whimper whimpering whimpers whine whines whisper
whispered whispering whispers whistle whistles whistling woo yawn yawning yawns yell yelling yells
confirmation-en question-ah question-ei question-en question-oh question-yi surprise-ah surprise-oh surprise-wa
surprise-yo dissatisfaction-hnn
"""
MANNERS = """
affectionate amazed amused angry annoyed anxious apologetic awe bored calm cheerful cheerfully concerned confused
crazed curious deadpan delighted desperate disappointed disgusted dramatic dramatically ecstatic embarrassed emotional
empathetic enthusiastic excited excitedly fearful fearfully flustered frightened frustrated gently grateful happily
happy hesitant hesitantly horrified hysterical impatient impressed mischievous mischievously monotone nervous nervously
nostalgic panicked playful playfully pleading proud quietly quizzically regretful relieved resigned robotic sad sadly
sarcasm sarcastic sarcastically scared serious seriously shocked shy shyly sleepy softly sorrowful surprised sympathetic
tearful tender tense terrified thoughtful thoughtfully tired trembling upset urgent warmly worried
"""
DEGREES = """
again awkward awkwardly begins bit bitter breathy brief briefly continues deep deeply ends evil faint faintly fades fast
fast-paced fading harder heavily heavy hysterically in jazz light lightly little long loud louder loudly low maniacal
nervous out playing quick quickly quiet sharp sharply short shortly slight slightly slow slowly small soft softly starts
still stops stronger strong throat under upbeat very voice weakly while wildly
"""
CONTROLS = """
accent effect emotion emphasis mood music pace pitch rate sfx sound speed style tempo tone voice volume
"""
